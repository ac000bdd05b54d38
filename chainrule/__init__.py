"""The command line: it starts the processes of a laptop, and is a client over HTTP."""
