"""Runs migrations on the connection that `pushrelay.store.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import inspect

from pushrelay.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    # Others in the database may have such a table, too, in a schema of theirs.
    version_table_schema=inspect(connection).default_schema_name,
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
