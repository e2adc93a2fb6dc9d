"""The subcommands, one file each, imported when one is asked for; what they call is imported when they are called."""
