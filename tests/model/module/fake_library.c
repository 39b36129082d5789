/* A library that a module needs. */
int fake_library(void);

int fake_library(void)
{
    return 1;
}
