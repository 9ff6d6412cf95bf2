# SPDX-License-Identifier: GPL-2.0
#
# gnuplot -e "dir='DIR'" many.gp: plots DIR/many.txt, the table that "cifs.sh many"
# writes, as DIR/many.svg. Columns: kind of the waiting requests, dialect, variant,
# number of waiting requests; then, for a small read and in ns: median, 99th
# percentile, average, CPU time of cifsd.

set terminal svg size 900,420 font 'sans,12' background 'white'
set output dir.'/many.svg'
set multiplot layout 1,2
set key top left
set logscale x
set xlabel 'requests that wait at the server'
set xrange [40:5000]
set yrange [0:*]
set grid ytics

rows(kind, dialect, variant, column) = sprintf("< awk '$1 == \"%s\" && $2 == \"%s\" && $3 == \"%s\" && $4 { print $4, $%d / 1000 }' %s/many.txt", \
	kind, dialect, variant, column, dir)

do for [column in '8 5'] {
	set ylabel column eq '8' ? 'CPU time of cifsd per reply, µs' : 'median latency of a 4 KiB read, µs'
	plot \
		rows('notify', '3.1.1', 'stock', int(column)) with linespoints lw 2 title 'stock, notifies, 3.1.1', \
		rows('lock', '3.1.1', 'stock', int(column)) with linespoints lw 2 title 'stock, locks, 3.1.1', \
		rows('notify', '3.1.1', 'converted', int(column)) with linespoints lw 2 title 'midatlas, notifies, 3.1.1', \
		rows('lock', '3.1.1', 'converted', int(column)) with linespoints lw 2 title 'midatlas, locks, 3.1.1'
}
