/* All of liban. */
#ifndef LIBAN_AN_H
#define LIBAN_AN_H

#include <an/common.h>
#include <an/dataset.h>
#include <an/loader.h>
#include <an/writer.h>

#endif
