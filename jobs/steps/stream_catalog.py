"""The catalog of a stream: which one its flows are counted with, while the files may change."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from v6share.jobs.steps import report
from v6share.jobs.steps.count import say_catalog_advice
from v6share.jobs.steps.head_start import compile_now, say_if_cold
from v6share.jobs.terminal import messages
from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.errors import UserError, in_one_line
from v6share.schemas.settings import Settings
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.ledger.client_keys import refuse_other_key
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog, remember_catalog
from v6share.warehouse.ledger.rows import key_ids
from v6share.warehouse.status import newest_catalog_version
from v6share.workspace.catalog_files import declared_stamp
from v6share.workspace.client_key import key_id, read_client_key
from v6share.workspace.configured import Configured, read_declared, read_settings_first
from v6share.workspace.paths import Workspace

if TYPE_CHECKING:
    from v6share.pipelines.kernels.plan import Plan


@dataclass
class StreamCatalog:
    """The catalog that counts now, with its settings and its plan.

    flags: of the command line, over the settings. arguments: of a ``v6share run`` over what is
    followed. stamp: of the files, as they were last read; None: they are to be read.
    """

    workspace: Workspace
    flags: dict[str, Any]
    arguments: str
    configured: Configured
    plan: "Plan"
    stamp: tuple[object, ...] | None = None
    warned_of: set[str] = field(default_factory=set)
    # As in ``Versions``.
    earlier: frozenset[str] = frozenset()
    # What keeps the files as they are now from being taken over; empty where nothing does.
    pending: str = ""

    @property
    def settings(self) -> Settings:
        """As they count now."""
        return self.configured.settings

    def look_again(self, connection: Connection) -> None:
        """After the turn of another command, which may have counted with changed files.

        They are read at the next look. A new client key is taken over at once, whatever becomes of
        the files: the journal says that all that comes now has its hashes. Raises UserError where
        that key is not in place.
        """
        self.stamp = None
        keys = key_ids(connection)
        if keys and keys[-1] != self.configured.client_key_id:
            client_key = read_client_key(self.workspace)
            refuse_other_key(self.workspace, keys, key_id(client_key))
            self.configured = replace(self.configured, client_key=client_key)
            self.plan = compile_now(self.configured)
            self.earlier = self.configured.versions_under(keys[:-1])
            messages.say(f"the client key is a new one, {keys[-1]}; taken over", event="key")

    def follow(self, connection: Connection) -> None:
        """Take over files that changed, as far as no flow that was counted before is affected.

        Else the stream goes on with what it has, until another command has counted with the new
        version: to count again what was counted is not its business.
        """
        stamp = declared_stamp(self.workspace)
        if stamp == self.stamp:
            return
        self.stamp = stamp
        try:
            refuse_lost_catalog(connection, self.workspace)
            settings = read_settings_first(self.workspace, self.flags)
            declared = read_declared(self.workspace, settings)
        except UserError as error:
            self.pending = in_one_line(error)
            messages.warn(
                f"{self.pending}. The stream goes on with catalog and settings as they were"
            )
            return
        self.pending = ""
        present = self.configured
        # A key that was put in place by hand does not count: the journal says which one does.
        configured = replace(declared, client_key=present.client_key)
        if (configured.catalog, configured.settings) == (present.catalog, present.settings):
            return
        keys = key_ids(connection)
        counted = newest_catalog_version(connection)
        if configured.catalog_version in (
            present.catalog_version,
            counted,
        ) or counted in configured.versions_under(keys):
            self.plan = compile_now(configured)
            self.configured = configured
            self.earlier = configured.versions_under(keys[:-1])
            declare(connection, configured)
            messages.say("the catalog or the settings changed; taken over", event="catalog")
            return
        self.pending = "flows would count otherwise: to be counted anew by a run or a backfill"
        if configured.catalog_version not in self.warned_of:
            self.warned_of.add(configured.catalog_version)
            messages.warn(
                "the catalog or the settings changed so that flows count otherwise; the stream "
                f"goes on with the version before. `v6share run --wait 600 {self.arguments}` "
                "counts all files there anew, `v6share backfill --wait 600 --since T --until T "
                f"{self.arguments}` those of a time; the stream takes the new version over then",
                event="catalog",
            )


def first_catalog(
    connection: Connection, workspace: Workspace, flags: dict[str, Any], arguments: str
) -> StreamCatalog:
    """The catalog that a stream begins with. Raises CatalogError and UserError."""
    refuse_lost_catalog(connection, workspace)
    configured = read_declared(workspace, read_settings_first(workspace, flags))
    keys = key_ids(connection)
    refuse_other_key(workspace, keys, configured.client_key_id)
    report.say_what_looks_wrong(configured)
    say_catalog_advice(configured)
    earlier = configured.versions_under(keys[:-1])
    if newest_catalog_version(connection) not in ("", configured.catalog_version, *earlier):
        messages.warn(
            "the catalog or the settings changed since the newest run, so that flows count "
            "otherwise: files that come now are counted with them, and those before keep what they "
            f"were counted with until `v6share run --wait 600 {arguments}` counts them anew",
            event="catalog",
        )
    say_if_cold()
    catalog = StreamCatalog(
        workspace,
        flags,
        arguments,
        configured,
        compile_now(configured),
        earlier=earlier,
    )
    declare(connection, configured)
    return catalog


def declare(connection: Connection, configured: Configured) -> None:
    """Bring what the catalog declares to the dimension tables."""
    replace_dimensions(connection, dimension_tables(configured.catalog, configured.settings))
    remember_catalog(connection, configured.catalog)
