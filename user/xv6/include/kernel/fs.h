/* SPDX-License-Identifier: MIT */
/* As RISC-V programs name it. */
#include "../fs.h"
