"""`python -m chainrule` is the command `chainrule`, for a checkout that is not installed."""

from chainrule.cli import app

if __name__ == "__main__":
    app(prog_name="chainrule")
