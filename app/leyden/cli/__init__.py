"""The command line: `leyden run | check | new | probe | log | world | identity | token | manual`.

One module a command, with `SUMMARY`, `parser()` and `run(args)`; `main` finds it by name and
imports it only when it is asked for, so that `leyden --help` loads nothing else.

- `main`: the commands by name, help and version
- `command`: runs one command and turns what it raises into a sentence and an exit code
- `parsing`: arguments, with errors of one line and examples in every help
- `terminal`: colours, columns and progress, where somebody looks
- `drawing`: the route graph as Mermaid text
- `template/`: what `leyden new` begins an application with

Exit codes: 0 done, 1 something that runs or should run, 2 usage or configuration, 130 Ctrl-C.
"""
