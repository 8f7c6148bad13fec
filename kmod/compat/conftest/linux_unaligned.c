// SPDX-License-Identifier: GPL-2.0-only
/* Does access to unaligned memory have its header among those of all architectures? */
#include <linux/unaligned.h>
