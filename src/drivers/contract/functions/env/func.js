module.exports = () => process.env
