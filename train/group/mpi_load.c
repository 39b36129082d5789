/* What the MPI module is called, and the library that it needs. Part of every build, also of those without MPI: a
 * module that was made elsewhere can be put beside their programs. */
#include "base/error.h"
#include "train/group/mpi_module.h"

static const an_module_library libraries[] = {
    {AN_MPI_SONAME, AN_MPI_PACKAGE, AN_MPI_WHEEL}, /* of the MPI that the build found */
};

static const an_module_spec spec = {
    .name = "MPI",
    .vendor = "Debian",
    .file = "an_mpi.so",
    .file_variable = "AN_MPI_MODULE",
    .folders_variable = "AN_MPI_LIBRARIES",
    .vendor_folder = "/usr/lib/x86_64-linux-gnu/openmpi/lib",
    .wheel_folders = "../..",
    .libraries = libraries,
    .count = sizeof libraries / sizeof *libraries,
};

int an_mpi_load(const an_mpi **out)
{
    char file[PATH_MAX];
    void *symbol;
    int rc = an_module_find(file, &spec);
    if (rc)
        return rc;
    rc = an_module_open_libraries(&spec, file);
    if (rc)
        return rc;
    rc = an_module_open(&symbol, &spec, file, AN_MPI_MODULE_SYMBOL);
    if (rc)
        return rc;
    const an_mpi_module *module = symbol;
    if (module->version != AN_MPI_MODULE_VERSION || module->size != sizeof(an_mpi) + sizeof(an_mpi_place))
        return an_error(AN_EUNSUPPORTED,
                        "the MPI module '%s' belongs to another version of this program (its interface is %u, this "
                        "program's is %u): install both of one version",
                        file, module->version, (unsigned)AN_MPI_MODULE_VERSION);
    *out = module->mpi;
    return AN_OK;
}
