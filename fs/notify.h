/*
 * notify -- words to the service manager, as sd_notify(3) sends them.
 *
 * Threads: no state.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

/*
 * Sends words such as "READY=1" to whoever listens at NOTIFY_SOCKET, if
 * anybody does.  The mount is as good when nobody hears it.
 */
void notify_service(const char *words);

#endif
