// SPDX-License-Identifier: GPL-2.0-only
/* Is the address that a socket is bound to a struct sockaddr_unsized? */
#include <linux/net.h>
#include <linux/socket.h>

int conftest(struct socket *sock, struct sockaddr_unsized *addr);

int conftest(struct socket *sock, struct sockaddr_unsized *addr)
{
	return kernel_bind(sock, addr, addr->sa_family);
}
