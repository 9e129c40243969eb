// Part of Inkstone. Licence: see LICENSE.
#if __has_include(<nats/nats.h>)
#include <nats/nats.h>
#else
#error "The trait Fleet needs NATS's C client: apt-get install libnats-dev, or 'make fleet', which installs it."
#endif
