# Adds up what `gcov -t` prints for many programs: lines run at least once, of each file of csrc.
# Prints a row per file, the lines never run, and a total per folder.
function row(name, run, all, note) {
  printf "%-28s %5d of %5d lines  %6.2f %%%s\n", name, run, all, 100 * run / all, note | "sort"
}

/^ *-: *0:Source:/ {
  file = $0
  sub(/^.*Source:/, "", file)
  ours = file ~ /^\.\.\// && file !~ /\/test\//
  sub(/^\.\.\//, "", file)
  next
}
ours && match($0, /^ *[^:]+: *[0-9]+:/) {
  split($0, part, ":")
  count = part[1]
  number = part[2] + 0
  gsub(/[ *]/, "", count)
  if (count == "-" || number == 0) next
  key = file ":" number
  if (!(key in seen)) { seen[key] = 1; lines[file]++; last[file] = number }
  if (number > last[file]) last[file] = number
  if (count !~ /^[#=]/ && !(key in ran)) { ran[key] = 1; hits[file]++ }
}
END {
  for (file in lines) {
    folder = file
    sub(/\/.*/, "", folder)
    folder_lines[folder] += lines[file]
    folder_hits[folder] += hits[file]
    missed = ""
    for (number = 1; number <= last[file]; number++) {
      key = file ":" number
      if (key in seen && !(key in ran)) missed = missed " " number
    }
    row(file, hits[file], lines[file], missed == "" ? "" : "  not:" missed)
  }
  close("sort")
  for (folder in folder_lines) row(folder "/", folder_hits[folder], folder_lines[folder], "")
}
