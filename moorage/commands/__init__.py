"""The subcommands, one file each. A file imports click and what it calls, and is itself imported when it is asked for."""
