"""Signatures of artifacts in the format of OpenSSF's model signing, made and checked with offline keys."""
