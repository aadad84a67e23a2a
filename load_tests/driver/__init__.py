"""Drives Koinon's public HTTP API as its callers do: operator, partner, processor and member. Nothing else is touched.

`connection` sends, `callers` sign and sign in, `mail` catches the codes, `opening`, `day` and `night` drive a simulated
coalition, `replaying` a real file. The demo, `koinon replay`, the benchmark and the tests share it.
"""
