/* SPDX-License-Identifier: MIT */
/* As RISC-V programs name it. */
#include "../types.h"
