/* SPDX-License-Identifier: MIT */
/* mount_none.c - `cowfs mount` of a tool that was built without libfuse3 (host/build.mk chooses).
 */
#include "cowfs/command.h"
#include "cowfs/tool.h"

int command_mount(const struct arguments *a)
{
	tool_fail("'%s' cannot be mounted: this tool was built without libfuse3; install the "
		  "packages libfuse3-dev, fuse3 and pkg-config, and build again ('make host')",
		  a->image);
}
