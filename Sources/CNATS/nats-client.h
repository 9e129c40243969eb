// Part of Inkstone. Licence: see LICENSE.
#include <nats/nats.h>
