// The completion scripts of the shells. Each asks `supervisor completion --words -- WORDS…` for what fits, and offers
// files where nothing does.

const BASH = `# bash completion for supervisor (and forksafe)
_supervisor() {
  local words
  words=$("\${COMP_WORDS[0]}" completion --words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  mapfile -t COMPREPLY <<< "$words"
  [ -n "$words" ] || COMPREPLY=()
}
complete -o bashdefault -o default -F _supervisor supervisor forksafe
`

const ZSH = `#compdef supervisor forksafe
_supervisor() {
  local -a fitting
  fitting=("\${(@f)$("\${words[1]}" completion --words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$fitting" ]]; then compadd -- $fitting; else _files; fi
}
compdef _supervisor supervisor forksafe
`

const FISH = `# fish completion for supervisor (and forksafe)
function __supervisor_words
  set -l words (commandline -opc) (commandline -ct)
  $words[1] completion --words -- $words[2..-1] 2>/dev/null
end
complete -c supervisor -a '(__supervisor_words)'
complete -c forksafe -a '(__supervisor_words)'
`

export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
