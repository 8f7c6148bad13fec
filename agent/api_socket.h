/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API socket: the unix socket the API listens on, from file to file.
 */
#ifndef API_SOCKET_H
#define API_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

/* Which file is ours, so that another's is never removed. */
struct api_socket {
	struct sockaddr_un address;
	dev_t dev;
	ino_t ino;
	uid_t uid;
	gid_t gid;
};

/**
 * api_socket_open - bind and listen, mode 0660, non-blocking
 *
 * A file that a dead process left behind is replaced.
 *
 * Return: descriptor; -EADDRINUSE: someone answers there; -EEXIST: there is a file
 * that is no socket; -ENAMETOOLONG; -errno
 */
int api_socket_open(struct api_socket *s, const char *path);
/* Remove the file, if it is still the one that was made. Closes nothing. */
void api_socket_remove(const struct api_socket *s);

#define API_WHO_LEN 256 /* the longest name of a user, and its end */

/**
 * api_socket_who - the name of the user at the other end of a connection
 * @fd: connection to a unix socket
 * @who: "root" for uid 0; the uid in digits if it has no name
 * Source: SO_PEERCRED (unix(7)): as it was at connect(2); getpwuid(3)
 * Return: 0 or -errno
 */
int api_socket_who(int fd, char who[API_WHO_LEN]);
/* Likewise, of a uid. */
void api_socket_name(uid_t uid, char who[API_WHO_LEN]);
/* May this user connect to the socket: its owner, a member of its group, root? */
bool api_socket_admits(const struct api_socket *s, uid_t uid);

#endif
