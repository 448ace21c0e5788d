"""The first tables: invitations, history, outbox, settings, opt-outs, quotas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("invitations",)
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SORTED_TEXT = sa.String(length=320).with_variant(
    sa.VARCHAR(length=320, collation="C"), "postgresql"
)


def upgrade() -> None:
    op.create_table(
        "invitations_invitation",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("website", sa.String(length=64), nullable=False),
        sa.Column("store_view", sa.String(length=64), nullable=False),
        sa.Column("inviter_key", sa.String(length=255), nullable=False),
        sa.Column("inviter_email", SORTED_TEXT, nullable=True),
        sa.Column("inviter_name", sa.String(length=255), nullable=False),
        sa.Column("email", SORTED_TEXT, nullable=True),
        sa.Column("email_hash", sa.String(length=64), nullable=False),
        sa.Column("recipient_hash", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("group_code", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("discarded_by", sa.String(length=8), nullable=True),
        sa.Column("sender_canceled", sa.Boolean(), nullable=False),
        sa.Column("mail_state", sa.String(length=12), nullable=False),
        sa.Column("mail_error", sa.String(length=255), nullable=True),
        sa.Column("mail_tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("last_sent_at", sa.DateTime(), nullable=True),
        sa.Column("registered_at", sa.DateTime(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("purged_at", sa.DateTime(), nullable=True),
        sa.Column("customer_key", sa.String(length=255), nullable=True),
        sa.Column("existing_customer", sa.Boolean(), nullable=False),
        sa.Column("submission", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'accepted') = (registered_at IS NOT NULL)",
            name="ck_invitations_invitation_accepted_registered",
        ),
        sa.CheckConstraint(
            "(status = 'discarded') = (discarded_by IS NOT NULL)",
            name="ck_invitations_invitation_discarded_by_someone",
        ),
        sa.CheckConstraint(
            "mail_state IN ('queued', 'sending', 'delivered', 'failed', 'parked', 'skipped')",
            name="ck_invitations_invitation_mail_state",
        ),
        sa.CheckConstraint(
            "status <> 'sent' OR sent_at IS NOT NULL",
            name="ck_invitations_invitation_sent_at_known",
        ),
        sa.CheckConstraint(
            "status IN ('not_sent', 'sent', 'accepted', 'discarded', 'declined', 'expired')",
            name="ck_invitations_invitation_status",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_invitations_invitation"),
        sa.UniqueConstraint("customer_key", name="uq_invitations_invitation_customer_key"),
        sa.UniqueConstraint("public_id", name="uq_invitations_invitation_public_id"),
        sa.UniqueConstraint(
            "website",
            "inviter_key",
            "email_hash",
            name="uq_invitations_invitation_website_inviter_key_email_hash",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_invitations_invitation_email_hash", "invitations_invitation", ["email_hash"]
    )
    op.create_index("ix_invitations_invitation_email_id", "invitations_invitation", ["email", "id"])
    op.create_index(
        "ix_invitations_invitation_group_code_id", "invitations_invitation", ["group_code", "id"]
    )
    op.create_index(
        "ix_invitations_invitation_inviter_email_id",
        "invitations_invitation",
        ["inviter_email", "id"],
    )
    op.create_index(
        "ix_invitations_invitation_inviter_key_id", "invitations_invitation", ["inviter_key", "id"]
    )
    op.create_index(
        "ix_invitations_invitation_open_expires_at",
        "invitations_invitation",
        ["expires_at"],
        sqlite_where=sa.text("status IN ('not_sent', 'sent')"),
        postgresql_where=sa.text("status IN ('not_sent', 'sent')"),
    )
    op.create_index(
        "ix_invitations_invitation_recipient_hash_last_sent_at",
        "invitations_invitation",
        ["recipient_hash", "last_sent_at"],
    )
    op.create_index(
        "ix_invitations_invitation_registered_at_id",
        "invitations_invitation",
        ["registered_at", "id"],
        sqlite_where=sa.text("registered_at IS NOT NULL"),
        postgresql_where=sa.text("registered_at IS NOT NULL"),
    )
    op.create_index(
        "ix_invitations_invitation_sent_at_id", "invitations_invitation", ["sent_at", "id"]
    )
    op.create_index(
        "ix_invitations_invitation_status_id", "invitations_invitation", ["status", "id"]
    )
    op.create_index(
        "ix_invitations_invitation_website_id", "invitations_invitation", ["website", "id"]
    )
    op.create_table(
        "invitations_opt_out",
        sa.Column("email_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("email_hash", name="pk_invitations_opt_out"),
    )
    op.create_table(
        "invitations_quota",
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_invitations_quota"),
    )
    op.create_table(
        "invitations_setting",
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("scope_code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.CheckConstraint(
            "scope IN ('default', 'website', 'store')", name="ck_invitations_setting_scope"
        ),
        sa.PrimaryKeyConstraint("scope", "scope_code", "name", name="pk_invitations_setting"),
    )
    op.create_table(
        "invitations_history",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("invitation_id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor_kind", sa.String(length=8), nullable=False),
        sa.Column("actor_key", sa.String(length=255), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=24), nullable=False),
        sa.Column("from_status", sa.String(length=12), nullable=True),
        sa.Column("to_status", sa.String(length=12), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitations_invitation.id"],
            name="fk_invitations_history_invitation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_invitations_history"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_invitations_history_invitation_id_id", "invitations_history", ["invitation_id", "id"]
    )
    op.create_table(
        "invitations_outbox",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("invitation_id", BIG_ID, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ambiguous", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("last_error", sa.String(length=255), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'claimed', 'sending', 'parked')",
            name="ck_invitations_outbox_state",
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitations_invitation.id"],
            name="fk_invitations_outbox_invitation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_invitations_outbox"),
        sa.UniqueConstraint("message_id", name="uq_invitations_outbox_message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_invitations_outbox_invitation_id", "invitations_outbox", ["invitation_id"])
    op.create_index(
        "ix_invitations_outbox_state_due_at_id", "invitations_outbox", ["state", "due_at", "id"]
    )


def downgrade() -> None:
    op.drop_table("invitations_outbox")
    op.drop_table("invitations_history")
    op.drop_table("invitations_setting")
    op.drop_table("invitations_quota")
    op.drop_table("invitations_opt_out")
    op.drop_table("invitations_invitation")
