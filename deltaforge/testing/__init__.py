"""Shipped fakes and contract suites for plug-in authors."""
