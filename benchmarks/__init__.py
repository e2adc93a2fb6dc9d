"""Moorage measured beside OpenSSH's sshd and beside the engine itself. See README.md here."""
