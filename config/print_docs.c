/* SPDX-License-Identifier: Apache-2.0 */
// Prints docs/configuration.md; the build runs it.
#include "config/schema.h"

int main(void)
{
    schema_print_docs(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
