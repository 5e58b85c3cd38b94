"""Shared by the test folders: errors in ULP, hard rows, and the list of all members."""
