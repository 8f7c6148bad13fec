// SPDX-License-Identifier: GPL-2.0-only
/*
 * flyrep: capture and injection of firewall state. See uapi/flyrep.h.
 */
#include <linux/kmod.h>
#include <linux/module.h>

#include "capture.h"
#include "netlink.h"
#include "pernet.h"
#include "probe.h"

static int __init flyrep_init(void)
{
	int err;

	err = flyrep_capture_setup();
	if (err)
		return err;
	/* It must be in the notifier slot before we chain over it; without it we wait. */
	request_module("nf_conntrack_netlink");

	err = flyrep_pernet_init();
	if (err)
		return err;
	err = flyrep_capture_start();
	if (err)
		goto err_pernet;
	err = flyrep_probe_start();
	if (err)
		goto err_capture;
	err = flyrep_netlink_init();
	if (err)
		goto err_probe;
	return 0;

err_probe:
	flyrep_probe_stop();
err_capture:
	flyrep_capture_stop();
err_pernet:
	flyrep_pernet_exit();
	return err;
}

static void __exit flyrep_exit(void)
{
	flyrep_netlink_exit();
	flyrep_probe_stop();
	flyrep_capture_stop();
	flyrep_pernet_exit();
}

module_init(flyrep_init);
module_exit(flyrep_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Capture and injection of firewall state");
MODULE_VERSION("0.1.0");
MODULE_SOFTDEP("pre: nf_conntrack_netlink");
