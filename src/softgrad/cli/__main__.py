from softgrad.cli import main

main()
