-- POST with a file's content: wrk … -s post-file.lua URL -- FILE CONTENT-TYPE
local text

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.headers["Content-Type"] = args[2]
  text = wrk.format("POST", nil, nil, file:read("*a"))
  file:close()
end

function request()
  return text
end
