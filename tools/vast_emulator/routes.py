"""Routing of requests to handlers, and the kind of each request for counters and faults."""

from collections.abc import Callable
from dataclasses import dataclass

from tools.vast_emulator.counters import Counters
from tools.vast_emulator.definitions import Definitions
from tools.vast_emulator.engine import Engine
from tools.vast_emulator.errors import ProtocolError, unsupported
from tools.vast_emulator.exchange import Request, Response
from tools.vast_emulator.imports import Imports
from tools.vast_emulator.objects import Objects
from tools.vast_emulator.rows import Rows
from tools.vast_emulator.settings import Settings

Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request, its handler, and the table that the request addresses."""

    kind: str
    handler: Handler
    table: str | None = None


class Routes:
    """The routes of one emulator."""

    def __init__(self, engine: Engine, objects: Objects, counters: Counters, settings: Settings) -> None:
        self._engine = engine
        definitions = Definitions(engine, objects, settings)
        rows = Rows(engine, counters, settings)
        imports = Imports(engine, objects, rows, settings)
        self._commands: dict[tuple[str, str], tuple[str, Handler]] = {
            ("POST", "transaction"): ("begin", self._begin),
            ("PUT", "transaction"): ("commit", self._commit),
            ("DELETE", "transaction"): ("rollback", self._rollback),
            ("GET", "schema"): ("list_schemas", definitions.list_schemas),
            ("POST", "schema"): ("create_schema", definitions.create_schema),
            ("PUT", "schema"): ("alter_schema", definitions.alter_schema),
            ("DELETE", "schema"): ("drop_schema", definitions.drop_schema),
            ("GET", "table"): ("list_tables", definitions.list_tables),
            ("POST", "table"): ("create_table", definitions.create_table),
            ("PUT", "table"): ("alter_table", definitions.alter_table),
            ("DELETE", "table"): ("drop_table", definitions.drop_table),
            ("GET", "stats"): ("stats", definitions.table_statistics),
            ("GET", "column"): ("list_columns", definitions.list_columns),
            ("POST", "column"): ("add_columns", definitions.add_columns),
            ("PUT", "column"): ("alter_column", definitions.alter_column),
            ("DELETE", "column"): ("drop_columns", definitions.drop_columns),
            ("GET", "sorted-columns"): ("list_sorted_columns", definitions.list_sorted_columns),
            ("GET", "projection"): ("list_projections", definitions.list_projections),
            ("POST", "projection"): ("create_projection", definitions.create_projection),
            ("PUT", "projection"): ("alter_projection", definitions.alter_projection),
            ("DELETE", "projection"): ("drop_projection", definitions.drop_projection),
            ("GET", "projection-columns"): ("list_projection_columns", definitions.list_projection_columns),
            ("GET", "projection-stats"): ("projection_stats", definitions.projection_statistics),
            ("POST", "rows"): ("insert", rows.insert),
            ("PUT", "rows"): ("update", rows.update),
            ("DELETE", "rows"): ("delete", rows.delete),
            ("GET", "data"): ("select", rows.select),
            ("POST", "data"): ("import", imports.run),
        }
        self._bucket: dict[str, tuple[str, Handler]] = {
            "HEAD": ("head_bucket", objects.head_bucket),
            "GET": ("list_objects", objects.list_objects),
            "PUT": ("put_bucket", objects.put_bucket),
        }
        self._object: dict[str, tuple[str, Handler]] = {
            "HEAD": ("head_object", objects.head_object),
            "GET": ("get_object", objects.get_object),
            "PUT": ("put_object", objects.put_object),
            "DELETE": ("delete_object", objects.delete_object),
        }
        self._command_names = frozenset(command for _, command in self._commands)
        self._unsupported = ("blob-expansion", "partitions")

    def find(self, request: Request) -> Route:
        """Return the route of a request."""
        query, segments = request.query, request.segments
        command = next((name for name in query if name in self._command_names), None)
        if command is None:
            unsupported_name = next((name for name in self._unsupported if name in query), None)
            if unsupported_name is not None:
                return Route("unsupported", _raising(unsupported(unsupported_name)))
            handlers = {0: {}, 1: self._bucket}.get(len(segments), self._object)
            entry = handlers.get(request.method)
        elif command == "transaction" and request.method == "GET":
            asks_version = "tabular-get-vast-version" in request.headers
            entry = ("version", self._version) if asks_version else ("keep_alive", self._keep_alive)
        else:
            entry = self._commands.get((request.method, command))
        if entry is None:
            refusal = ProtocolError(405, "MethodNotAllowed", f"{request.method} {command or 'of an object'}")
            return Route("unsupported", _raising(refusal))
        kind, handler = entry
        addresses_table = command not in (None, "schema", "transaction") and kind != "list_tables"
        return Route(kind, handler, segments[-1] if addresses_table and segments else None)

    def _version(self, request: Request) -> Response:
        """Handle GET /?transaction: the version is in the header `Server`, which every response has."""
        return Response()

    def _begin(self, request: Request) -> Response:
        return Response(headers={"tabular-txid": str(self._engine.begin(request.connection).id)})

    def _keep_alive(self, request: Request) -> Response:
        self._engine.find(request.transaction)
        return Response()

    def _commit(self, request: Request) -> Response:
        self._engine.commit(request.transaction)
        return Response()

    def _rollback(self, request: Request) -> Response:
        self._engine.rollback(request.transaction, request.connection)
        return Response()


def _raising(error: ProtocolError) -> Handler:
    def handler(request: Request) -> Response:
        raise error

    return handler
