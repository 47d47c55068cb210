"""What proves that a file is the one asked for, fed its bytes as they arrive.

No network; raises VerificationError with the reason.
"""
