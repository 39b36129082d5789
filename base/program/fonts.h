/* Fonts that came with the programs, as in the tarball, for machines that have none. */
#ifndef AN_BASE_PROGRAM_FONTS_H
#define AN_BASE_PROGRAM_FONTS_H

/* Points fontconfig at ../share/an/fonts/fonts.conf beside the program's folder, if it is there and FONTCONFIG_FILE is
 * not set. That file includes the machine's own fonts. To be called first in main, before there are threads. */
void an_fonts_install(void);

#endif
