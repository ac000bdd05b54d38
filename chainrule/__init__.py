"""The command line: starts the service's processes, maintains its data, and shows a demo over HTTP."""
