/* What the parts of the extension module share. */
#ifndef K2_MODULE_H
#define K2_MODULE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <string.h>

extern PyType_Spec bundles_spec;

#endif
