"""Entry points for python -m bytewax.run."""
