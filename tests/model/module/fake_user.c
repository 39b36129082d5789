/* Makes a module need the library. */
int fake_library(void);
int fake_user(void);

int fake_user(void)
{
    return fake_library();
}
