"""creche: minds blocking and polling tasks under a Trio nursery, and tells the truth about them.

The public names are the ones below; everything else may change. Where to look:

* `Engine` (engine.engine): submit, watch and control tasks.
* `TaskSnapshot`, `State`, `Mode`, … (engine.model): the frozen values.
* engine.errors: what can go wrong.
* engine.transitions: the table of legal moves.
* engine.samples, engine.cadence, engine.kinds, engine.testing: public submodules.
"""

from typing import TYPE_CHECKING

from .api import Body as Body
from .api import Cadence as Cadence
from .api import Ended as Ended
from .api import Executor as Executor
from .api import Journal as Journal
from .api import Reader as Reader
from .api import RunSync as RunSync
from .api import Track as Track
from .errors import BadArguments as BadArguments
from .errors import BadOption as BadOption
from .errors import BadQuery as BadQuery
from .errors import BatchRefused as BatchRefused
from .errors import CrecheError as CrecheError
from .errors import EngineClosed as EngineClosed
from .errors import IllegalMove as IllegalMove
from .errors import KeyReused as KeyReused
from .errors import KindExists as KindExists
from .errors import KindNotFound as KindNotFound
from .errors import NotATask as NotATask
from .errors import OutputNotKept as OutputNotKept
from .errors import OutputNotReady as OutputNotReady
from .errors import QueueFull as QueueFull
from .errors import StoreError as StoreError
from .errors import StoreFailed as StoreFailed
from .errors import StoreInUse as StoreInUse
from .errors import StoreNotFound as StoreNotFound
from .errors import StoreUnreadable as StoreUnreadable
from .errors import StoreUnsafe as StoreUnsafe
from .errors import TaskCancelled as TaskCancelled
from .errors import TaskEnded as TaskEnded
from .errors import TaskFailed as TaskFailed
from .errors import TaskLost as TaskLost
from .errors import TaskNotFound as TaskNotFound
from .errors import TaskNotInMemory as TaskNotInMemory
from .errors import TaskTimedOut as TaskTimedOut
from .errors import UsedAfterFork as UsedAfterFork
from .errors import WouldDeadlock as WouldDeadlock
from .kinds import Kind as Kind
from .kinds import NotAKind as NotAKind
from .kinds import Registry as Registry
from .kinds import default_registry as default_registry
from .model import FINAL as FINAL
from .model import LIVE as LIVE
from .model import Changes as Changes
from .model import Durability as Durability
from .model import Effect as Effect
from .model import ErrorInfo as ErrorInfo
from .model import Event as Event
from .model import Mode as Mode
from .model import OutputMark as OutputMark
from .model import Owner as Owner
from .model import Page as Page
from .model import Reset as Reset
from .model import Rung as Rung
from .model import State as State
from .model import TaskSnapshot as TaskSnapshot
from .model import Why as Why
from .model import parse_cursor as parse_cursor
from .orders import Order as Order
from .orders import Receipt as Receipt
from .query import Query as Query
from .sealed import shown_arguments as shown_arguments
from .settings import find_store as find_store
from .settings import socket_path as socket_path
from .settings import store_dir as store_dir
from .statistics import CancelAnswer as CancelAnswer
from .statistics import EngineStatistics as EngineStatistics
from .store.sqlite_reader import open_reader as open_reader
from .version import VERSION as VERSION
from .wire import counts_json as counts_json
from .wire import error_json as error_json
from .wire import event_json as event_json
from .wire import statistics_json as statistics_json
from .wire import task_json as task_json
from .wire import time_json as time_json

if TYPE_CHECKING:
    from .engine import Engine as Engine
    from .portal import EnginePortal as EnginePortal
else:  # a type checker would believe any name of a module with this function

    def __getattr__(name: str) -> object:
        """Import the engines when they are asked for: they bring Trio, and what only reads a store
        in another process (``creche ls``, the dashboard) starts twice as fast without."""
        if name == "Engine":
            from .engine import Engine

            return Engine
        if name == "EnginePortal":
            from .portal import EnginePortal

            return EnginePortal
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
