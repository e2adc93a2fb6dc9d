"""Bytes between a session's channel and the engine's stream, with backpressure both ways.

Bytes never pass through a machine: the pump reports EOF, totals and errors as events.
"""
