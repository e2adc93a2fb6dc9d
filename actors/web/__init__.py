"""HTTP towards web services of the operator. asyncio code, like the library; trio comes in through bridge.py."""
