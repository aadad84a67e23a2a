"""The ledger: accounts, wallets, lots, holds, journals, movements and windows."""
