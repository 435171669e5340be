#!/bin/sh
# rungs_container.sh - the rungs again, inside a container that is rooted at / of the host.
exec ctool run --rm -e RUNGS_CONTAINER=1 / /tests/rungs.sh
