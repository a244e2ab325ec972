"""Flow: the route graph, how values get from where they arise to where they are wanted.

Graph        joins routes: publish, latest, observe, pipe
Line         a way from a route through stages to a route or a handler
Pump         brings values of an observable or a function onto a route
Observation  a handler on one route
Capacitor    keeps the last values until there is demand
Resistor     limits what passes by one law: Pass, When, Gate, Throttle or Deadband
Watchdog     speaks when a route is silent
Lineage      names the events a value came from
stage        builds a stage from the options a configuration file holds
"""

from leyden.flow.capacitor import Capacitor, OverflowPolicy
from leyden.flow.errors import FlowError, FullError, SchemaError, StageError
from leyden.flow.graph import STAGE_ERROR, Graph
from leyden.flow.handle import Handle
from leyden.flow.health import Health, health_route
from leyden.flow.laws import Deadband, Gate, Law, Pass, Throttle, When
from leyden.flow.line import Line
from leyden.flow.lineage import Lineage, lineage
from leyden.flow.node import Control, Counters, Edge, Node, NodeInfo, Site, Stage
from leyden.flow.observation import Observation
from leyden.flow.pump import Disposable, Observable, Pump
from leyden.flow.resistor import Resistor
from leyden.flow.snapshot import FlowSnapshot
from leyden.flow.stages import STAGES, StageKind, build, stage, through
from leyden.flow.watchdog import Counts, Watch, Watchdog

__all__ = [
    "STAGES",
    "STAGE_ERROR",
    "Capacitor",
    "Control",
    "Counters",
    "Counts",
    "Deadband",
    "Disposable",
    "Edge",
    "FlowError",
    "FlowSnapshot",
    "FullError",
    "Gate",
    "Graph",
    "Handle",
    "Health",
    "Law",
    "Line",
    "Lineage",
    "Node",
    "NodeInfo",
    "Observable",
    "Observation",
    "OverflowPolicy",
    "Pass",
    "Pump",
    "Resistor",
    "SchemaError",
    "Site",
    "Stage",
    "StageError",
    "StageKind",
    "Throttle",
    "Watch",
    "Watchdog",
    "When",
    "build",
    "health_route",
    "lineage",
    "stage",
    "through",
]
