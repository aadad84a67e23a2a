"""Runs, approvals and alerts as Piccolo sees them (back office; the schema is SQL)."""

from piccolo.columns import UUID, BigInt, ForeignKey, Integer, OnDelete, Text, Timestamptz
from piccolo.table import Table

from koinon.database import DB, RecordedAt
from koinon.identity.tables import Staff


class Run(Table, tablename="run", schema="settlement", db=DB):
    """One calculation of a sealed window; amounts are minor units, ratios exact texts."""

    run_id = BigInt(primary_key=True, default=None)
    programme_id = BigInt(default=None)
    window_no = BigInt(default=None)
    version = Integer(default=None)
    state = Text(default=None)
    currency = Text(default=None)
    maker_staff_id = BigInt(null=True, default=None)
    submission_id = UUID(default=None)
    pool_before = BigInt(default=None)
    pool_balance = BigInt(default=None)
    pool_worth = Text(default=None)
    pool_apart = Text(default=None)
    pool_allowed = Text(default=None)
    outstanding_points = BigInt(default=None)
    part_rate_margins = Integer(default=None)
    explanation = Text(default=None)
    calculated_at = RecordedAt()


class Approval(Table, tablename="approval", schema="settlement", db=DB):
    """A person's yes to a run, who is not its maker; its key in the database is (run_id, staff_id)."""

    run_id = ForeignKey(Run, on_delete=OnDelete.restrict, null=False, default=None, primary_key=True)
    staff_id = ForeignKey(Staff, on_delete=OnDelete.restrict, null=False, default=None)
    maker_staff_id = BigInt(null=True, default=None)
    decision = Text(default=None)
    decided_at = Timestamptz(default=None)


class Alert(Table, tablename="alert", schema="settlement", db=DB):
    """Why a window's run could not be made, until one could."""

    alert_id = BigInt(primary_key=True, default=None)
    programme_id = BigInt(default=None)
    window_no = BigInt(default=None)
    code = Text(default=None)
    explanation = Text(default=None)
    tries = Integer(default=None)
    raised_at = Timestamptz(default=None)
    tried_at = Timestamptz(default=None)
    retry_at = Timestamptz(default=None)
    cleared_at = Timestamptz(null=True, default=None)
