"""From tasks to a night: the task file, the store of tasks, the choice of the next one, and the robot that observes.

`taskstore` and `observer` hold the modules. What needs no bus stands alone: `taskfile` (YAML to tasks), `database`
(tasks on disk), `greedy` (what to observe next), `night` (when it is dark), `report` and `journal` (what became of the
night).
"""
