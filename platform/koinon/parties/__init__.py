"""Programmes, partners and their contract versions: who takes part, on what terms."""
