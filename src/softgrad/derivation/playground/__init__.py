"""The playground: one HTML file in which a person moves logits and sees everything that follows.

The sources of the page lie beside this module: ``template.html``, the styles in ``css/``, the
scripts in ``js/`` (``math/`` knows nothing of the page, ``views/`` has a module for each card).
"""

from softgrad.derivation.playground.page import render

__all__ = ["render"]
