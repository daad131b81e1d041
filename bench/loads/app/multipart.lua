-- The form that the bench has in `multipart.txt`: what wrk reads is its measure, so it is made here.
local text

function init()
  local boundary = "boundary-of-the-bench"
  local form = "--" .. boundary .. "\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nholiday\r\n--"
    .. boundary .. "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n"
    .. "Content-Type: application/octet-stream\r\n\r\n"
    .. string.rep("x", 10 * 1024 * 1024) .. "\r\n--" .. boundary .. "--\r\n"
  wrk.headers["Content-Type"] = "multipart/form-data; boundary=" .. boundary
  text = wrk.format("POST", nil, nil, form)
end

function request()
  return text
end
