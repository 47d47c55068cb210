"""Checks that prove that a file is the one asked for. They are fed its bytes as they arrive.

No network. A check raises VerificationError with the reason.
"""
