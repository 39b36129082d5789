#include "store/image/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void means(const an_statistics_sums *sums, an_statistics *out)
{
    double pixels = (double)sums->images * sums->side * sums->side;
    double product[3][3];
    for (int i = 0, k = 0; i < 3; i++)
        for (int j = i; j < 3; j++, k++)
            product[i][j] = product[j][i] = (double)sums->product[k] / pixels;
    for (int i = 0; i < 3; i++)
        out->mean[i] = (double)sums->sum[i] / pixels;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out->covariance[i][j] = product[i][j] - out->mean[i] * out->mean[j];
    for (int i = 0; i < 3; i++) {
        out->covariance[i][i] =
            fmax(out->covariance[i][i], 0); /* rounding may make it negative for a constant channel */
        out->deviation[i] = sqrt(out->covariance[i][i]);
    }
}

/* One Jacobi rotation: makes a[p][q] zero and turns the columns of v with it. Golub, Van Loan, "Matrix computations",
 * section 8.5. */
static void rotate(double a[3][3], double v[3][3], int p, int q)
{
    if (a[p][q] == 0)
        return;
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 3; k++) {
        double kp = a[k][p], kq = a[k][q];
        a[k][p] = c * kp - s * kq;
        a[k][q] = s * kp + c * kq;
    }
    for (int k = 0; k < 3; k++) {
        double pk = a[p][k], qk = a[q][k];
        a[p][k] = c * pk - s * qk;
        a[q][k] = s * pk + c * qk;
        double vp = v[k][p], vq = v[k][q];
        v[k][p] = c * vp - s * vq;
        v[k][q] = s * vp + c * vq;
    }
    a[p][q] = a[q][p] = 0;
}

static void take_vector(const double v[3][3], int column, double out[3])
{
    double sign = 0;
    for (int k = 0; k < 3 && sign == 0; k++)
        sign = v[k][column];
    for (int k = 0; k < 3; k++)
        out[k] = sign < 0 ? -v[k][column] : v[k][column];
}

static void decompose(an_statistics *out)
{
    double a[3][3], v[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    memcpy(a, out->covariance, sizeof a);
    for (int sweep = 0; sweep < 32; sweep++) { /* converges quadratically: five or six are enough */
        rotate(a, v, 0, 1);
        rotate(a, v, 0, 2);
        rotate(a, v, 1, 2);
    }
    int order[3] = {0, 1, 2};
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (a[order[j]][order[j]] > a[order[i]][order[i]]) {
                int swap = order[i];
                order[i] = order[j];
                order[j] = swap;
            }
    for (int i = 0; i < 3; i++) {
        out->eigenvalue[i] =
            fmax(a[order[i]][order[i]], 0); /* a covariance matrix has no negative ones, but rounding may make one */
        take_vector((const double(*)[3])v, order[i], out->eigenvector[i]);
    }
}

int an_statistics_compute(const an_statistics_sums *sums, an_statistics *out)
{
    size_t count = (size_t)sums->side * sums->side * 3;
    *out = (an_statistics){.side = sums->side, .images = sums->images};
    out->mean_image = calloc(count, sizeof *out->mean_image);
    if (!out->mean_image)
        return an_error(AN_ENOMEM, "out of memory: mean image of %ux%u pixels", sums->side, sums->side);
    if (sums->images > 0) {
        means(sums, out);
        for (size_t i = 0; i < count; i++)
            out->mean_image[i] = (float)((double)(sums->pixel_sum[i] + sums->recent[i]) / (double)sums->images);
    }
    decompose(out);
    return AN_OK;
}

void an_statistics_free(an_statistics *statistics)
{
    free(statistics->mean_image);
    *statistics = (an_statistics){0};
}
